"""What the neighbours of a gene say of it, from the gene order of other genomes."""
