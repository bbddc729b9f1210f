"""Crystals of any generator to a report: `crystext evaluate`.

    samples         what was generated, failures included
    protocol        what is measured, with which thresholds, against which sets
    reference_sets  the crystals that samples are compared with
    stages          one measurement a file: columns, a value per sample, and metrics of all of them
    stage_result    what a stage returns; stage_cache keeps it on disk
    funnel          how many samples are left after each criterion
    deviations      where an evaluation was not as its protocol says
    report          the schema of report.json
    published       values that others have published, to compare with
    html            the report as a page
    export          the crystals that pass a step of the funnel, as files
    run             the evaluation itself, which continues after a kill

Invalid samples count as failures: every rate is over all samples, unless its title says otherwise.
"""
