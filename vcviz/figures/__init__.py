"""Figures: records in, plotly figures out. Nothing here shows, saves or remembers."""

from vcviz.figures.cam import plot_info_cam as plot_info_cam
from vcviz.figures.class_accuracy import plot_class_accuracy as plot_class_accuracy
from vcviz.figures.direction import plot_direction as plot_direction
from vcviz.figures.fields import plot_field as plot_field
from vcviz.figures.fit import plot_latent_fit as plot_latent_fit
from vcviz.figures.history import plot_history as plot_history
from vcviz.figures.information import plot_information as plot_information
from vcviz.figures.inspection import plot_inspection as plot_inspection
from vcviz.figures.latent_panel import LatentOptions as LatentOptions
from vcviz.figures.latent_panel import LatentPanel as LatentPanel
from vcviz.figures.latents import compare_latents as compare_latents
from vcviz.figures.latents import plot_latents as plot_latents
from vcviz.figures.latents_3d import plot_latents_3d as plot_latents_3d
from vcviz.figures.noise_maps import plot_noise_maps as plot_noise_maps
from vcviz.figures.ood import plot_ood as plot_ood
from vcviz.figures.posthoc import plot_posthoc as plot_posthoc
from vcviz.figures.regions import plot_regions as plot_regions
from vcviz.figures.reliability import plot_reliability as plot_reliability
from vcviz.figures.retain import plot_retain as plot_retain
from vcviz.figures.robustness import plot_attack_accuracy as plot_attack_accuracy
from vcviz.figures.robustness import plot_robustness as plot_robustness
from vcviz.figures.scoreboard import plot_claims as plot_claims
from vcviz.figures.scoreboard import plot_score_curves as plot_score_curves
from vcviz.figures.scoreboard import plot_scores as plot_scores
from vcviz.figures.segmentation import plot_segmentation as plot_segmentation
from vcviz.figures.sweep import plot_sweep as plot_sweep
from vcviz.figures.trajectory import plot_trajectory as plot_trajectory

__all__ = [
    "LatentOptions",
    "LatentPanel",
    "compare_latents",
    "plot_attack_accuracy",
    "plot_claims",
    "plot_class_accuracy",
    "plot_direction",
    "plot_field",
    "plot_history",
    "plot_info_cam",
    "plot_information",
    "plot_inspection",
    "plot_latent_fit",
    "plot_latents",
    "plot_latents_3d",
    "plot_noise_maps",
    "plot_ood",
    "plot_posthoc",
    "plot_regions",
    "plot_reliability",
    "plot_retain",
    "plot_robustness",
    "plot_score_curves",
    "plot_scores",
    "plot_segmentation",
    "plot_sweep",
    "plot_trajectory",
]
