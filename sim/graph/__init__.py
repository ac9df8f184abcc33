"""NIR files in floats: read, checked, and run without any framework's importer.

`file` reads one, `topology` orders it, `meta` says what NIR leaves open; `build` makes `layers` of
`linear` maps and `neurons`, and `network` runs them whole trains at a time, or in `steps` where spikes
return.
"""
