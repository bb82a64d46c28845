"""`fxsearch serve`: searches in a browser, and as a JSON API.

Everything it shows is on disk, and searches run in processes of their own: it can be stopped and started at
any time.

app.py         the application: routes, protection, errors
api.py         the JSON API; pages.py the pages
protection.py  who may ask, and what a page may load
problems.py    errors as problem JSON (RFC 9457), without traces
processes.py   searches and imports in other processes
watching.py    what changed, told to any number of viewers
listenable.py  the sounds of a trial
"""
