"""vcviz: see what a softmax classifier anticipates of its latents, and what it gets.

Names are loaded when first used, so that importing the package costs nothing:
neither torch nor plotly is imported here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# public name -> module that defines it
_PUBLIC = {
    "InputError": "vcviz.errors",
    "LatentFit": "vcviz.records",
    "LatentPlane": "vcviz.records",
    "PlaneField": "vcviz.records",
    "LatentPrior": "vcviz.records",
    "LatentSet": "vcviz.records",
    "LogitLaw": "vcviz.records",
    "PixelSplit": "vcviz.records",
    "Segmentation": "vcviz.records",
    "Projection": "vcviz.records",
    "Direction": "vcviz.records",
    "Marginals": "vcviz.records",
    "Inspection": "vcviz.records",
    "SelectionSummary": "vcviz.records",
    "ReliabilityCurve": "vcviz.records",
    "Separation": "vcviz.records",
    "RetainSet": "vcviz.records",
    "Gate": "vcviz.records",
    "Gates": "vcviz.records",
    "RobustnessCurve": "vcviz.records",
    "Split": "vcviz.records",
    "Trajectory": "vcviz.records",
    "RunConfig": "vcviz.config",
    "load_data": "vcviz.data",
    "imbalanced": "vcviz.data",
    "subset": "vcviz.data",
    "make_strangers": "vcviz.data",
    "corrupt": "vcviz.data",
    "CORRUPTIONS": "vcviz.data",
    "hold_out_classes": "vcviz.data",
    "apply_preprocessing": "vcviz.data",
    "encode_texts": "vcviz.data",
    "fingerprint": "vcviz.data",
    "true_prior": "vcviz.data",
    "true_utilities": "vcviz.data",
    "load_shapes": "vcviz.data",
    "train_segmenter": "vcviz.segmentation",
    "segment": "vcviz.segmentation",
    "temperature_study": "vcviz.temperatures",
    "Classifier": "vcviz.model",
    "build_encoder": "vcviz.encoders",
    "build_head": "vcviz.heads",
    "HEADS": "vcviz.heads",
    "noisy_log_softmax": "vcviz.heads",
    "train": "vcviz.training",
    "train_heads": "vcviz.training",
    "train_imbalanced": "vcviz.training.imbalance",
    "train_laws": "vcviz.training.laws",
    "train_rates": "vcviz.training.laws",
    "build_law": "vcviz.laws",
    "LAWS": "vcviz.laws",
    "Run": "vcviz.runs",
    "load_run": "vcviz.runs",
    "list_runs": "vcviz.runs",
    "extract_latents": "vcviz.latents",
    "last_linear": "vcviz.latents",
    "logit_law": "vcviz.latents.logit_law",
    "prior_of": "vcviz.latents",
    "latent_log_probs": "vcviz.latents.planes",
    "plane_log_probs": "vcviz.latents.planes",
    "plane_log_ratio": "vcviz.latents.fields",
    "score_plane": "vcviz.latents.fields",
    "retain_set": "vcviz.latents.masks",
    "implied_prior": "vcviz.densities",
    "empirical_prior": "vcviz.densities",
    "ActivationMaps": "vcviz.records",
    "info_cam": "vcviz.cam",
    "attack": "vcviz.attacks",
    "attack_gates": "vcviz.robustness",
    "crossings": "vcviz.robustness",
    "robustness_curve": "vcviz.attacks.curve",
    "reliability_curve": "vcviz.calibration",
    "expected_calibration_error": "vcviz.calibration",
    "smooth_calibration_error": "vcviz.calibration",
    "SmoothError": "vcviz.calibration",
    "brier_score": "vcviz.calibration",
    "brier_decomposition": "vcviz.calibration",
    "BrierParts": "vcviz.calibration",
    "negative_log_likelihood": "vcviz.calibration",
    "mean_kl": "vcviz.calibration",
    "argmax_probs": "vcviz.noise",
    "noisy_log_probs": "vcviz.noise",
    "input_grid": "vcviz.noise",
    "latent_fit": "vcviz.fit",
    "energy_distance": "vcviz.fit",
    "Recalibration": "vcviz.posthoc",
    "recalibrate": "vcviz.posthoc",
    "cross_recalibrate": "vcviz.posthoc",
    "refit_prior": "vcviz.posthoc",
    "reclassify": "vcviz.posthoc",
    "auroc": "vcviz.ood",
    "balanced_accuracy": "vcviz.accuracy",
    "class_accuracy": "vcviz.accuracy",
    "class_information": "vcviz.information",
    "mutual_information": "vcviz.information",
    "pointwise_information": "vcviz.information",
    "shift_prior": "vcviz.information",
    "attack_runs": "vcviz.compare",
    "robustness_curves": "vcviz.compare",
    "robustness_table": "vcviz.compare",
    "corrupted_latents": "vcviz.compare",
    "corruption_table": "vcviz.compare",
    "differences": "vcviz.compare",
    "decision_planes": "vcviz.compare",
    "latent_fits": "vcviz.compare",
    "ood_table": "vcviz.compare",
    "pick_run": "vcviz.compare",
    "posthoc_table": "vcviz.compare",
    "revise_runs": "vcviz.compare",
    "rate_table": "vcviz.compare",
    "reliability_curves": "vcviz.compare",
    "separate_strangers": "vcviz.compare",
    "information_table": "vcviz.imbalance",
    "summarise": "vcviz.compare",
    "fit_projection": "vcviz.projections",
    "inspect_row": "vcviz.inspection",
    "selection_summary": "vcviz.inspection",
    "selection_table": "vcviz.inspection",
    "grand_tour": "vcviz.projections.tour",
    "direction": "vcviz.projections.directions",
    "natural_directions": "vcviz.projections.directions",
    "marginals": "vcviz.fit.marginals",
    "compare_latents": "vcviz.figures",
    "plot_regions": "vcviz.figures",
    "plot_retain": "vcviz.figures",
    "plot_attack_accuracy": "vcviz.figures",
    "plot_robustness": "vcviz.figures",
    "plot_class_accuracy": "vcviz.figures",
    "plot_info_cam": "vcviz.figures",
    "plot_information": "vcviz.figures",
    "plot_latents": "vcviz.figures",
    "plot_latents_3d": "vcviz.figures",
    "plot_ood": "vcviz.figures",
    "plot_posthoc": "vcviz.figures",
    "plot_latent_fit": "vcviz.figures",
    "plot_reliability": "vcviz.figures",
    "plot_sweep": "vcviz.figures",
    "plot_noise_maps": "vcviz.figures",
    "plot_segmentation": "vcviz.figures",
    "plot_trajectory": "vcviz.figures",
    "plot_direction": "vcviz.figures",
    "plot_field": "vcviz.figures",
    "plot_inspection": "vcviz.figures",
    "plot_history": "vcviz.figures",
    "LatentExplorer": "vcviz.widgets",
    "DirectionExplorer": "vcviz.widgets",
    "CalibrationExplorer": "vcviz.widgets",
    "HeteroscedasticExplorer": "vcviz.widgets",
    "InformationExplorer": "vcviz.widgets",
    "PosthocExplorer": "vcviz.widgets",
    "AdversarialExplorer": "vcviz.widgets",
    "DropMaxExplorer": "vcviz.widgets",
    "explore": "vcviz.exploration",
    "link": "vcviz.widgets",
    "run_notebook": "vcviz.headless",
    "report": "vcviz.reports",
    "sweep": "vcviz.sweeps",
    "NotebookError": "vcviz.headless.outcomes",
    "NotebookResult": "vcviz.headless.outcomes",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vcviz' has no attribute {name!r}")
    module = importlib.import_module(_PUBLIC[name])
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from vcviz.attacks import attack as attack
    from vcviz.data import load_data as load_data
    from vcviz.latents import extract_latents as extract_latents
    from vcviz.runs import load_run as load_run
    from vcviz.training import train as train
