"""The model card says what the manifest says, and names what it does not know."""

from dataclasses import replace

from ai.bundle import DEFAULT_BUNDLE, Bundle
from pipeline_training.model_card import model_card


def test_card_of_the_default_bundle_names_data_scores_and_limits() -> None:
    manifest = Bundle.load(DEFAULT_BUNDLE).manifest
    card = model_card(manifest)
    assert card.startswith(f"# {manifest.id} {manifest.version}\n")
    for source in manifest.training_data:
        assert f"| {source.name} | {source.licence} |" in card
    assert manifest.limits in card
    assert "| jsrt | heart | 113 | 0.9" in card
    assert "Cardiothoracic ratio on wingspan, 107 images: mean absolute error 0.01" in card
    supported, not_supported = card.split("Not supported: ")
    assert "heart" in supported
    assert "vertebrae T4" in not_supported


def test_card_without_an_evaluation_says_so() -> None:
    manifest = replace(Bundle.load(DEFAULT_BUNDLE).manifest, metrics={}, limits="")
    card = model_card(manifest)
    assert "Not evaluated." in card
    assert "None are stated." in card
