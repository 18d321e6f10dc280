"""glm-annot after Bakta or Prokka in Snakemake, on one machine or a cluster (see README.md beside `plugins`).

Use it from a workflow of your own; `{sample}.gff3` (Bakta) or `{sample}.gff` (Prokka) must be made by its rules:

    include: "glm_annot.smk"

    rule all:
        input:
            expand("bakta/{sample}/{sample}.glm.gff3", sample=SAMPLES),

Configuration, all optional: config["glm_annot"] = {"model": "mini", "extra": "--promote-ec 0.95"}. Threads and
resources are those of `mini` and a genome; larger models or metagenomes need more, by `--set-resources` or in a
profile. Memory and time grow with each retry, which `--retries` or a profile allows.
"""

GLM_ANNOT = config.get("glm_annot", {})


rule glm_annot_bakta:
    input:
        "{folder}/{sample}.gff3",
    output:
        gff="{folder}/{sample}.glm.gff3",
        table="{folder}/{sample}.glm.tsv",
    log:
        "{folder}/{sample}.glm.log",
    params:
        model=GLM_ANNOT.get("model", "mini"),
        extra=GLM_ANNOT.get("extra", ""),
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,  # minutes
    shell:
        "glm-annot {input} -o {output.gff} --model {params.model} --threads {threads}"
        " --force --quiet --log-file {log} {params.extra}"


use rule glm_annot_bakta as glm_annot_prokka with:
    input:
        "{folder}/{sample}.gff",
    output:
        gff="{folder}/{sample}.glm.gff",
        table="{folder}/{sample}.glm.tsv",
