// glm-annot after Bakta or Prokka in Nextflow (DSL2), on one machine or a cluster (see README.md beside `plugins`).
//
// Use it from a workflow of your own:
//
//     include { GLM_ANNOT } from './glm_annot.nf'
//
//     workflow {
//         GLM_ANNOT(BAKTA.out.gff)        // channel of [meta, annotation], meta a map with an `id`
//     }
//
// Resources are those of `mini` and a genome; a process selector in nextflow.config overrides them:
//     process { withName: GLM_ANNOT { cpus = 4; memory = 8.GB } }
// Parameters, all optional: --glm_annot_model mini, --glm_annot_extra '--promote-ec 0.95'.

params.glm_annot_model = 'mini'
params.glm_annot_extra = ''

process GLM_ANNOT {
    tag "${meta.id}"
    cpus 2
    memory { 2.GB * task.attempt }
    time { 30.m * task.attempt }
    // Statuses 2 to 4 are of wrong usage, input and model: the same again would fail again.
    errorStrategy { task.exitStatus in [2, 3, 4] ? 'finish' : 'retry' }
    maxRetries 2

    input:
    tuple val(meta), path(annotation)

    output:
    tuple val(meta), path("out/*.glm.{gff3,gbk}"), emit: annotation
    tuple val(meta), path("out/*.glm.tsv"), emit: table

    script:
    """
    mkdir out
    glm-annot ${annotation} -o out/ --model ${params.glm_annot_model} --threads ${task.cpus} \\
        --quiet ${params.glm_annot_extra}
    """
}
