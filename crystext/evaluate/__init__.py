"""Crystals of any generator to a report: `crystext evaluate`.

    samples     what was generated, failures included
    protocol    what is measured, with which thresholds, against which sets
    reference   the crystals that it is compared with
    stages      one measurement a file: columns, one value per attempt, and figures of them all
    funnel      how many attempts are left after each demand
    report      what is written down
    published   what others have published, to stand under it
    html        the report for people
    run         the order of it all, and how it goes on after a kill

Every share divides by all attempts that were made, unless its title says otherwise.
"""
