"""The weights store: catalogue, find, pull, add, verify; plug-ins also load tensors from here."""

from benchbed.tensor_files import LoadedWeights, fit_report, load_tensors, read_metadata, write_tensors
from benchbed.weights.arrivals import add, by_hand_sentence, pull
from benchbed.weights.cards import FileCard, card_path, read_card, write_card
from benchbed.weights.checking import (
    CheckedFile,
    find_checked,
    find_weights,
    recorded_standing,
    standing,
    verify,
)
from benchbed.weights.digests import sha256_of
from benchbed.weights.entries import WeightsEntry, catalogue, weights_entry
from benchbed.weights.places import leftovers, locate, place, shadowed, store_folder

__all__ = [
    "CheckedFile",
    "FileCard",
    "LoadedWeights",
    "WeightsEntry",
    "add",
    "by_hand_sentence",
    "card_path",
    "catalogue",
    "find_checked",
    "find_weights",
    "fit_report",
    "leftovers",
    "load_tensors",
    "locate",
    "place",
    "pull",
    "read_card",
    "read_metadata",
    "recorded_standing",
    "sha256_of",
    "shadowed",
    "standing",
    "store_folder",
    "verify",
    "weights_entry",
    "write_card",
    "write_tensors",
]
