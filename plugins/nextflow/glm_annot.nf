// glm-annot after Bakta or Prokka in Nextflow (DSL2).
//
// Use it from a workflow of your own:
//
//     include { GLM_ANNOT } from './glm_annot.nf'
//
//     workflow {
//         GLM_ANNOT(BAKTA.out.gff)        // channel of [meta, annotation], meta a map with an `id`
//     }
//
// Parameters, all optional: --glm_annot_model mini, --glm_annot_extra '--promote-ec 0.95'.

params.glm_annot_model = 'mini'
params.glm_annot_extra = ''

process GLM_ANNOT {
    tag "${meta.id}"
    cpus 2
    memory '2 GB'

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
