"""Words by which services call what they do with a thing, or with all of a kind, beside the names of things.

A service runs other SQL for `/users/export` than for `/users/anna`, and no form tells the two apart. A word
that stands here is never taken for a value; that somebody is called so costs one route more.
"""

ACTIONS = frozenset(
    (  # noqa: SIM905 - words are read, and kept in order, more easily as a text
        "about accept accounts activate active activity add admin all analytics api approve archive archived "
        "assign attach audit auth authorize autocomplete available balance batch billing block bulk callback "
        "callbacks cancel cancelled cart category charge charges check checkout children clear clone close "
        "closed collections comments complete completed config confirm connect contact copy count counters "
        "counts create current daily dashboard deactivate default delete deleted deliver destroy detach detail "
        "details diff disable disconnect dismiss docs download downloads draft drafts duplicate edit enable "
        "errors events execute expired export exports failed favorites feed files filter filters find finish "
        "follow followers following generate global graph graphql groups health healthz help history home "
        "hooks images import imports inactive inbox index info init install invite invites invoice invoices "
        "items jobs join latest leaderboard leave like likes limits list lists live lock locked logs login "
        "logout mark me members menu merge messages meta metadata metrics mine monthly move my new newest next "
        "notes notifications notify oauth offers open options order orders overdue overview password patch "
        "pause pay payments pending permissions photos ping plans play policy poll popular posts preferences "
        "prepare preview previous print private process profile progress projects promote public publish "
        "published purge query queue quote random rank ranking rate read ready rebuild recalculate recent "
        "recommended recover redeem refresh refund refunds register reject related release reload remind "
        "remove rename renew reopen reorder replace reply report reports request requests resend reserve reset "
        "resolve restart restore result results resume retry return returns revert review reviews revoke roles "
        "root rotate rules run runs sales save scan schedule schedules schema search security select self send "
        "sent session sessions settings setup share shared ship signin signout signup similar sitemap sort start "
        "stats status statistics stop store stream submit subscribe subscriptions suggest suggestions summary "
        "support suspend switch sync tags tasks teams templates test token tokens top total totals track "
        "transactions transfer trash tree trending trigger unarchive unassign unblock undo unfollow unlike "
        "unlock unpublish unread unsubscribe upcoming update updates upgrade upload uploads usage user users "
        "validate verify version versions view views vote wait watch webhook webhooks weekly whoami withdraw"
    ).split()
)
EXTENSIONS = frozenset(
    ["atom", "csv", "html", "ics", "json", "pdf", "rss", "xls", "xlsx", "xml", "zip"]
)


def is_action(segment: str) -> bool:
    """Whether a segment is such a word, in any case, as a document perhaps: `Export`, `export.csv`."""
    word, _, extension = segment.lower().partition(".")
    return word in ACTIONS and (not extension or extension in EXTENSIONS)
