"""The report: one HTML file that opens offline, in any browser, in ten years.

page        the general page: headline, warnings, sections, provenance; any application builds one
running     the section on time, workers and losses
iterations  the section on iterations of any iterative application
figures     numbers -> pictures: plotly graphs, each with a still picture for want of scripts
swg         the sections of an all-pairs run
kmeans      the sections of a K-means run
"""

from pipelines.report.kmeans import kmeans_report
from pipelines.report.page import build
from pipelines.report.swg import swg_report

__all__ = ["build", "kmeans_report", "swg_report"]
