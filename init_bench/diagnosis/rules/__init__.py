"""The verdict rules of ``diagnose``: one record each, all listed in ``menu.py``."""
