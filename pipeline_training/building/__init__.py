"""Building a data set of projections from many volumes on a Dask cluster, and the page that shows it."""
