"""The tables of the synthetic study: Tables 1 and 4, Appendix F on the same data, and interpretations."""
