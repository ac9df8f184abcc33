"""A deployed network as C99 for a microcontroller: integers, static memory, no library.

tables.py     what the C file holds as constants, in the order in which it reads them
generate.py   the files themselves, from three templates
build.py      compiles and runs them with a compiler at hand, to compare them with the twin
"""
