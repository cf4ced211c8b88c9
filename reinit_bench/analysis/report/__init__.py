"""The report: what a results folder holds, on one HTML page that needs no network."""
