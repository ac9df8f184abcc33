"""NIR files in floats: read, checked, and run without any framework's importer.

`file` reads one, `topology` orders it, `meta` says what NIR leaves open; `network` runs `layers` of
`linear` maps and `neurons` whole trains at a time, or in `steps` where spikes return.
"""
