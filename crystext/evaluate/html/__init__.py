"""The report as a page that needs nothing else: `report.html`.

    markup      elements, every text in them escaped
    numbers     how numbers are printed
    tables      figures with their intervals, ours above the published
    charts      the funnel, histograms and bars as inline SVG
    elements    shares on a periodic table
    gallery     crystals that can be turned, and which are shown
    write       the order of it all

Scripts and styles are inline, no address is loaded, and a policy in the page forbids it.
"""
