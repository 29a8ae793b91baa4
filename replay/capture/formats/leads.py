"""The words that a line of a stderr log begins with behind its prefix, `LOG:  `, `DETAIL:  `.

A server whose lc_messages is not English translates them. They are known here in some languages, so
that such a log is recognised and its failures are read; `english` has what its messages say.
"""

import re
from collections.abc import Collection
from enum import IntEnum

SAID_AT_MOST = 48  # bytes of a message that tell its language


class Kind(IntEnum):
    """What a line is to its record."""

    BLANK = -2
    FOREIGN = -1  # no line of PostgreSQL's
    RECORD = 0
    DETAIL = 1
    CONTEXT = 2
    STATEMENT = 3
    PASSED_OVER = 4  # belongs to a record, and nothing needs it


SEVERITIES = tuple(b"LOG ERROR WARNING FATAL NOTICE INFO DEBUG PANIC".split())
_ENGLISH = (
    *("LOG:  ", "ERROR:  ", "WARNING:  ", "FATAL:  ", "NOTICE:  ", "INFO:  ", "DEBUG:  "),
    *("PANIC:  ", "DETAIL:  ", "CONTEXT:  ", "STATEMENT:  ", "HINT:  ", "QUERY:  "),
    *("LOCATION:  ", "BACKTRACE:  "),
)
_TRANSLATED = {
    "German": "LOG: |FEHLER: |WARNUNG: |FATAL: |HINWEIS: |INFO: |DEBUG: |PANIK: |DETAIL: "
    "|ZUSAMMENHANG: |ANWEISUNG: |TIPP: |ANFRAGE: |ORT: |BACKTRACE: ",
    "French": "LOG: |ERREUR: |ATTENTION: |FATAL: |NOTICE: |INFO: |DEBUG: |PANIC: |DÉTAIL: "
    "|CONTEXTE : |INSTRUCTION : |ASTUCE : |REQUÊTE : |EMPLACEMENT : |PILE D'APPEL :",
    "Spanish": "LOG: |ERROR: |WARNING: |FATAL: |NOTICE: |INFO: |DEBUG: |PANIC: |DETALLE: "
    "|CONTEXTO: |SENTENCIA: |SUGERENCIA: |CONSULTA: |UBICACIÓN: |BACKTRACE: ",
    "Portuguese": "LOG: |ERRO: |AVISO: |FATAL: |NOTA: |INFO: |DEPURAÇÃO: |PÂNICO: |DETALHE: "
    "|CONTEXTO: |COMANDO: |DICA: |CONSULTA: |LOCAL: |BACKTRACE: ",
    "Italian": "LOG: |ERRORE: |ATTENZIONE: |FATALE: |NOTIFICA: |INFO: |DEBUG: |PANICO: |DETTAGLI: "
    "|CONTESTO: |ISTRUZIONE: |SUGGERIMENTO: |QUERY: |POSIZIONE: |BACKTRACE: ",
    "Russian": "СООБЩЕНИЕ: |ОШИБКА: |ПРЕДУПРЕЖДЕНИЕ: |ВАЖНО: |ЗАМЕЧАНИЕ: |ИНФОРМАЦИЯ: |ОТЛАДКА: "
    "|ПАНИКА: |ПОДРОБНОСТИ: |КОНТЕКСТ: |ОПЕРАТОР: |ПОДСКАЗКА: |ЗАПРОС: |ПОЛОЖЕНИЕ:|СТЕК: ",  # noqa: RUF001 - meant
    "Japanese": "LOG: |ERROR: |WARNING: |FATAL: |NOTICE: |INFO: |DEBUG: |PANIC: |詳細: "
    "|文脈: |文: |ヒント: |問い合わせ: |場所: |バックトレース: ",
    "Swedish": "LOGG: |FEL: |VARNING: |FATALT: |NOTIS: |INFO: |DEBUG: |PANIK: |DETALJ: "
    "|KONTEXT: |SATS: |TIPS: |FRÅGA: |PLATS: |BACKTRACE: ",
    "Ukrainian": "ЗАПИСУВАННЯ: |ПОМИЛКА: |ПОПЕРЕДЖЕННЯ: |ФАТАЛЬНО: |ПОВІДОМЛЕННЯ: |ІНФОРМАЦІЯ: "
    "|НАЛАГОДЖЕННЯ: |ПАНІКА: |ВІДОМОСТІ: |КОНТЕКСТ: |ІНСТРУКЦІЯ: |УКАЗІВКА: |ЗАПИТ: "  # noqa: RUF001
    "|РОЗТАШУВАННЯ: |ВІДСТЕЖУВАТИ: ",
    "Georgian": "ჟურნალი: |შეცდომა: |გაფრთხილება: |ფატალური: |გაფრთხილება: |ინფორმაცია: |გამართვა: "
    "|პანიკა: |დეტალები: |კონტექსტი: |ოპერატორი: |მინიშნება: |მოთხოვნა: |მდებარეობა: |სტეკი: ",
    "Korean": "로그: |오류: |경고: |치명적오류: |알림: |정보: |디버그: |손상: |상세정보: "
    "|내용: |명령 구문: |힌트: |쿼리: |위치:|역추적: ",
    "Chinese": "日志: |错误: |警告: |致命错误: |注意: |信息: |调试: |灾难性错误: |详情: "
    "|上下文: |语句: |提示: |查询: |位置: |回溯: ",
    "Chinese (Taiwan)": "日誌: |錯誤: |警告: |致命錯誤: |注意: |資訊: |除錯: |嚴重錯誤: |詳情: "
    "|上下文: |陳述式: |提示: |查詢: |位置: |回溯: ",
}
# What messages of durations, of statements and of executions begin with.
_SAID = {
    "German": "Dauer: |Anweisung: |Ausführen ",
    "French": "durée : |instruction : |exécute ",
    "Spanish": "duración: |sentencia: |ejecutar ",
    "Portuguese": "duração: |comando: |executar ",
    "Italian": "durata: |istruzione: |esecuzione di ",
    "Swedish": "varaktighet|sats: |kör ",
    "Russian": "продолжительность: |оператор: |выполнение |выборка из ",
    "Ukrainian": "тривалість: |виконувати |виконати витягнення з ",
    "Georgian": "ხანგრძლივობა: |ოპერატორი: |გაშვება ",
    "Japanese": "期間: |文: |実行 |取り出し実行 ",
    "Korean": "실행시간: |수행시간: |명령 구문: |쿼리실행 |자료뽑기 ",
    "Chinese": "耗时: |语句: |执行",
    "Chinese (Taiwan)": "持續時間: |陳述式: |執行",
}


def spellings(text: str) -> tuple[bytes, ...]:
    """As a log may have it, which is in its databases' encodings: in UTF-8, and in latin-1 if it can be."""
    single = text.isascii() or max(text) > "\u00ff"
    return (text.encode(),) if single else (text.encode(), text.encode("latin-1"))


def _leads() -> dict[bytes, tuple[Kind, int]]:
    """Lead to its kind, and its severity as an index of SEVERITIES."""
    known: dict[bytes, tuple[Kind, int]] = {}
    translated = (tuple(f"{w} " for w in words.split("|")) for words in _TRANSLATED.values())
    for words in (_ENGLISH, *translated):
        for place, word in enumerate(words):
            kind = Kind(min(max(place - 7, 0), Kind.PASSED_OVER))
            for spelling in spellings(word):
                known.setdefault(spelling, (kind, place if place < 8 else 0))
    return known


_KNOWN = _leads()
# The commonest first: a walk over a block tries them in this order.
_COMMON = [b"LOG:  ", b"DETAIL:  ", b"ERROR:  ", b"STATEMENT:  ", b"CONTEXT:  "]
LEADS = (*_COMMON, *(lead for lead in _KNOWN if lead not in _COMMON))
KINDS = tuple(_KNOWN[lead][0] for lead in LEADS)
SEVERITY_OF = tuple(_KNOWN[lead][1] for lead in LEADS)
LEAD_PATTERN = b"(?P<lead>" + b"|".join(map(re.escape, LEADS)) + b")"
_BEGINS = {
    name: tuple(one for word in words.split("|") for one in spellings(word))
    for name, words in _SAID.items()
}
SEVERITY_IN_ENGLISH = {
    lead.rstrip(b" :"): SEVERITIES[SEVERITY_OF[place]]
    for place, lead in enumerate(LEADS)
    if KINDS[place] == Kind.RECORD
}
"""As the other formats have it, in whatever language."""
PLACE = {lead: place for place, lead in enumerate(LEADS)}


def language(texts: Collection[bytes]) -> str:
    """The language of messages, by the beginnings of some; empty: English, as far as they tell."""
    return next(
        (name for name, said in _BEGINS.items() if any(t.startswith(said) for t in texts)), ""
    )
