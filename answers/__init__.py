"""The answers to the template's questions: which are valid, and how they reach the files.

`extension.py` joins the rest to cookiecutter; the table of rules is in `rules.py`.
"""
