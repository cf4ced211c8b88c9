"""From finished runs to tables, figures and a report, in layers; each imports only from those before it.

`runs` reads the store, labels and orders settings and says how far they are from the paper's; `stats` averages, tests
and ranks; `tables`, `figures` and `report` show. `synthetic` holds the tables of the synthetic study (Section 1.1,
Appendix A): it builds on `runs`, `stats` and the class of a table, and is found as every table is.
"""
