"""The generator of the site: Markdown pages, drawn and written from what the zoo itself states.

`docs/build_site.py` runs it. One room does one thing: equations, flow (a drawing of what a module
does), pictures (what it does to a photograph), pages (one for each mechanism and network).
"""
