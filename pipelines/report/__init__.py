"""The report: one HTML file that opens offline, in any browser, in ten years.

page        the general page: headline, warnings, sections, provenance; any application builds one
running     the section on time, workers and losses
iterations  the section on iterations of any iterative application
figures     numbers -> pictures: plotly graphs, each with a still picture for want of scripts
cloud       points of a map with their columns, as many as are drawn
viewer      the map that the reader turns: our own painter, no plotly
swg         the sections of an all-pairs run
kmeans      the sections of a K-means run
mds, interpolate, cluster, sequences   those of the applications of these names
"""

from pipelines.report.cluster import cluster_report
from pipelines.report.interpolate import interpolate_report
from pipelines.report.kmeans import kmeans_report
from pipelines.report.mds import mds_report
from pipelines.report.page import build
from pipelines.report.sequences import Scaled, sequences_report
from pipelines.report.swg import swg_report

__all__ = [
    "Scaled",
    "build",
    "cluster_report",
    "interpolate_report",
    "kmeans_report",
    "mds_report",
    "sequences_report",
    "swg_report",
]
