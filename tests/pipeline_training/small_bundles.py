"""A small network with norms that have seen data, and the bundle that is made of it."""

import torch
from torch import nn

from ai.bundle import Bundle, bundle_digest
from ai.manifest import Manifest
from pipeline_training.network import AnatomyNet
from pipeline_training.onnx_graph import to_onnx

WIDTHS = (4, 6, 8, 10, 12)
LABELS = ("heart", "aorta", "trachea")
SIZE = 64


def seasoned(labels: int = len(LABELS)) -> AnatomyNet:
    """Return a network whose norms have statistics, weights and biases of their own."""
    torch.manual_seed(0)
    network = AnatomyNet(labels, WIDTHS).train()
    for _ in range(3):
        network(torch.rand(4, 1, SIZE, SIZE))
    with torch.no_grad():
        network.head.weight *= 5
        for layer in network.context:
            layer.get_parameter("weight").mul_(50)
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.uniform_(-0.2, 0.2)
    return network.eval()


def bundle_of(network: AnatomyNet, labels: tuple[str, ...] = LABELS, size: int = SIZE) -> Bundle:
    content = to_onnx(network, size)
    manifest = Manifest(
        "parent", "1", labels, ("frontal",), size, dict.fromkeys(labels, 0.5), bundle_digest(content)
    )
    return Bundle(manifest, content)
