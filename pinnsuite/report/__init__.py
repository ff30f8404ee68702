"""One page from the records and fields of a results folder."""

from pinnsuite.report.html import write_report as write_report
