"""NIR files in floats: read, checked, and run without any framework's importer.

`file` reads one, `topology` orders it, `meta` says what NIR leaves open; `build` makes `layers` of
`linear` maps and `neurons`; `network` runs whole trains at once, or `steps` where spikes return.
"""
