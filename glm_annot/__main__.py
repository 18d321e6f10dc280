"""`python -m glm_annot` is `glm-annot`."""

from glm_annot.cli.app import main

if __name__ == "__main__":
    main()
