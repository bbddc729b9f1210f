"""The report as a self-contained page: `report.html`.

    templates/      Jinja2 templates of the page and its sections; every text is escaped
    environment     the templates with their filters
    numbers         how numbers are printed
    charts          bars and histograms as coordinates of inline SVG
    periodic_table  proportions on a periodic table
    gallery         crystals that can be turned, and which are shown
    tables          rows of tables that templates do not take directly from the report
    write           the page from a report

Scripts and styles are inline; the page loads no URL, and its content security policy forbids it.
"""
