"""Why there is no selected model: one sentence for every section that would show it."""

from lmmstudy.report.study import Study
from lmmstudy.report.wording import sentence


def no_model(study: Study) -> str:
    """Why no model was selected."""
    if study.clean["status"] == "failed":
        return sentence(study.clean["message"] or "the data could not be read")
    return sentence(
        study.selection.get("message") or "no candidate could be fitted, so no model was selected"
    )
