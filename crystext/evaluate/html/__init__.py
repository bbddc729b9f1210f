"""The report as a page that needs nothing else: `report.html`.

    templates/      Jinja2 templates of the page and its sections; every text is escaped
    environment     the templates with their filters
    numbers         how numbers are printed
    charts          bars and histograms as coordinates of inline SVG
    periodic_table  proportions on a periodic table
    gallery         crystals that can be turned, and which are shown
    tables          rows of tables that templates do not take from the report as it is
    write           the page from a report

Scripts and styles are inline, no address is loaded, and a policy in the page forbids it.
"""
