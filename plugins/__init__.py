"""Plugins that know the output folders of annotation tools; `glm_annot.io.tool_folders` has the protocol.

`snakemake/` and `nextflow/` hold recipes that run glm-annot after Bakta or Prokka in a pipeline.
"""
