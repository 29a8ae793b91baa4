"""The words that a line of a stderr log begins with behind its prefix, `LOG:  `, `DETAIL:  `.

A server whose lc_messages is not English translates them. They are known here in some languages, so
that such a log is recognised and can be refused with a reason.
"""

import re
from enum import IntEnum


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
    "Chinese": "日志: |错误: |警告: |致命错误: |注意: |信息: |调试: |灾难性错误: |详情: "
    "|上下文: |语句: |提示: |查询: |位置: |回溯: ",
    "Chinese (Taiwan)": "日誌: |錯誤: |警告: |致命錯誤: |注意: |資訊: |除錯: |嚴重錯誤: |詳情: "
    "|上下文: |陳述式: |提示: |查詢: |位置: |回溯: ",
}
_DURATIONS = {
    "German": "Dauer: ",
    "French": "durée : ",
    "Spanish": "duración: ",
    "Portuguese": "duração: ",
    "Italian": "durata: ",
    "Russian": "продолжительность: ",
    "Japanese": "期間: ",
    "Chinese": "耗时: ",
    "Chinese (Taiwan)": "持續時間: ",
}


def _leads() -> dict[bytes, tuple[Kind, int, str]]:
    """Lead to its kind, its severity as an index of SEVERITIES, and its language."""
    known: dict[bytes, tuple[Kind, int, str]] = {}
    languages: list[tuple[str, tuple[str, ...]]] = [("", _ENGLISH)]
    languages += [(name, tuple(f"{w} " for w in ws.split("|"))) for name, ws in _TRANSLATED.items()]
    for language, words in languages:
        for place, word in enumerate(words):
            kind = Kind(min(max(place - 7, 0), Kind.PASSED_OVER))
            spellings = {word.encode()}
            if word.isascii() or max(word) < "\u0100":
                spellings.add(word.encode("latin-1"))
            for spelling in spellings:
                known.setdefault(spelling, (kind, place if place < 8 else 0, language))
    return known


_KNOWN = _leads()
# The commonest first: a walk over a block tries them in this order.
_COMMON = [b"LOG:  ", b"DETAIL:  ", b"ERROR:  ", b"STATEMENT:  ", b"CONTEXT:  "]
LEADS = (*_COMMON, *(lead for lead in _KNOWN if lead not in _COMMON))
KINDS = tuple(_KNOWN[lead][0] for lead in LEADS)
SEVERITY_OF = tuple(_KNOWN[lead][1] for lead in LEADS)
LEAD_PATTERN = b"(?P<lead>" + b"|".join(map(re.escape, LEADS)) + b")"
PLACE = {lead: place for place, lead in enumerate(LEADS)}


def language(leads: set[bytes], texts: list[bytes]) -> str:
    """The language of a log's messages, by leads and texts of its lines; empty: English."""
    for lead in leads:
        if _KNOWN[lead][2]:
            return _KNOWN[lead][2]
    for name, word in _DURATIONS.items():
        if any(text.startswith(word.encode()) for text in texts):
            return name
    return ""
