"""What a gLM is trained for: a batch of windows with masked genes to its loss.

Axes as in `training.glm.losses`; N masked genes, H hidden features of the network.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from glm_annot.model.families import FamilyHead, FamilyTable

from .losses import family_loss, glm_loss


@dataclass(frozen=True, slots=True)
class MaskedBatch:
    """A batch to train on.

    Attributes:
        x_BTE: inputs with genes masked.
        labels_BTL: clipped labels.
        real_BT: which slots are genes.
        masked_BT: which of them are masked.
        kept_BT: masked genes whose orientation was kept; None for none of them.
        family_BT: family of each gene; None where families are not trained.
    """

    x_BTE: Tensor
    labels_BTL: Tensor
    real_BT: Tensor
    masked_BT: Tensor
    kept_BT: Tensor | None = None
    family_BT: Tensor | None = None


class MaskedGenes(nn.Module):
    """The objective: a batch to its loss.

    Args:
        network: the gLM or its baseline.
        paper_weight: of the published loss.
        family_weight: of the loss by family.
        table, head: of families, where they are trained.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        paper_weight: float = 1.0,
        family_weight: float = 0.0,
        table: FamilyTable | None = None,
        head: FamilyHead | None = None,
    ) -> None:
        super().__init__()
        self.network, self.table, self.head = network, table, head
        self.paper_weight, self.family_weight = paper_weight, family_weight

    def forward(self, batch: MaskedBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and its parts to be logged."""
        output = self.network(batch.x_BTE, batch.real_BT)
        paper = glm_loss(output, batch.labels_BTL, batch.masked_BT)
        figures = {"regression": paper.regression.detach(), "likelihood": paper.likelihood.detach()}
        total = self.paper_weight * paper.total
        if batch.family_BT is not None and self.head is not None and self.table is not None:
            asked_BT = batch.masked_BT if batch.kept_BT is None else batch.masked_BT & ~batch.kept_BT
            loss = family_loss(
                self.head,
                self.table,
                output.last_BTF[batch.masked_BT],
                batch.family_BT[batch.masked_BT],
                batch.labels_BTL[..., -1][batch.masked_BT] > 0,
                asked_BT[batch.masked_BT],
            )
            total = total + self.family_weight * loss.total
            figures |= {name: getattr(loss, name).detach() for name in ("family", "none", "strand")}
        return total, figures
