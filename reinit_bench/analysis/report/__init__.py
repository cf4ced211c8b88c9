"""The report: what a results folder holds on one HTML page that needs no network.

`build.py` makes the page's content from a collection, `page_html.py` writes it down.
"""
