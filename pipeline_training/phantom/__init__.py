"""A procedural thorax: every structure that our labels need, with a CT, and with its truth known."""

from pipeline_training.phantom.make import make_phantom
from pipeline_training.phantom.parameters import Arms, PhantomParameters, draw_parameters
from pipeline_training.phantom.truth import PhantomTruth, phantom_truth

__all__ = ["Arms", "PhantomParameters", "PhantomTruth", "draw_parameters", "make_phantom", "phantom_truth"]
