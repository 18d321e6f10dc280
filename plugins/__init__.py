"""Plugins that know the output folders of annotation tools; see `glm_annot.tools` for the protocol.

`snakemake/` and `nextflow/` hold recipes that run glm-annot after Bakta or Prokka in a pipeline.
"""
