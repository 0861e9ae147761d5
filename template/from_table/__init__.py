"""From one table to a first problem: `make start NAME=... FROM=... TIME=... LABEL=...`.

`question.py` reads what was asked, `columns.py` what the table holds, `plan.py` decides, `writing.py` fills the
templates of `files/` and lets the new project measure what a constant reaches.
"""
