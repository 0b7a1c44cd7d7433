#!/usr/bin/env python3
"""The peers of `make bench PEERS=VENV`: medians in ms as one JSON object, for one picture.

usage: peers.py PICTURE ROUNDS

- `python`: the whole image as the Python scripts do it, in a process that is kept warm: read, resize, ResNet50 in PyTorch, nearest of 1024 rows,
  mask and overlay written as PNG.
- `openvino_*`, `onnxruntime_*`: ResNet50 alone up to layer4, with layers 2 to 4 as outputs, for one image of 512x512;
  in int8 as NNCF quantises it.

Weights are random: speed does not depend on them. Needs torch, torchvision, opencv-python-headless, openvino, nncf, onnx and onnxruntime.
"""
import io
import json
import logging
import os
import sys
import tempfile
import time

import cv2
import nncf
import numpy as np
import onnxruntime
import openvino
import torch
import torchvision

torch.set_grad_enabled(False)
SIDE, ROWS = 512, 1024
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class Features(torch.nn.Module):
    """ResNet50 up to layer4; gives the maps of layers 2 to 4."""

    def __init__(self):
        super().__init__()
        self.network = torchvision.models.resnet50(weights=None).eval()

    def forward(self, x):
        network = self.network
        x = network.layer1(network.maxpool(network.relu(network.bn1(network.conv1(x)))))
        layer2 = network.layer2(x)
        layer3 = network.layer3(layer2)
        return layer2, layer3, network.layer4(layer3)


def median(act, rounds):
    act()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        act()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)[rounds // 2]


def whole_image(features, path, folder):
    """What the Python scripts do with one image, from the file to its outputs."""
    bank = np.random.default_rng(0).random((ROWS, 3584), dtype=np.float32)
    squares = (bank * bank).sum(1)

    def act():
        image = cv2.imread(path, cv2.IMREAD_COLOR)
        height, width = image.shape[:2]
        scale = SIDE / min(height, width)
        size = (round(width * scale), round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        x = torch.from_numpy(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)).permute(2, 0, 1)[None].float() / 255
        maps = features((x - MEAN) / STD)
        grid = maps[0].shape[-2:]
        resized = [maps[0]] + [torch.nn.functional.interpolate(m, size=grid, mode='bilinear', align_corners=False) for m in maps[1:]]
        joined = torch.cat(resized, 1)[0].permute(1, 2, 0)[::2, ::2]
        patches = joined.reshape(-1, joined.shape[-1]).numpy()
        squared = (patches * patches).sum(1)[:, None] - 2 * (patches @ bank.T) + squares[None]
        distances = np.sqrt(np.maximum(squared.min(1), 0)).reshape(joined.shape[:2])
        full = cv2.resize(distances, (width, height), interpolation=cv2.INTER_LINEAR)
        mask = full > np.quantile(distances, 0.99)
        overlay = image.copy()
        overlay[mask] = (0.5 * overlay[mask] + 0.5 * np.array([0, 0, 255])).astype(np.uint8)
        cv2.imwrite(os.path.join(folder, 'mask.png'), mask.astype(np.uint8) * 255)
        cv2.imwrite(os.path.join(folder, 'overlay.png'), overlay)

    return act


def main():
    path, rounds = sys.argv[1], int(sys.argv[2])
    features, x = Features(), torch.randn(1, 3, SIDE, SIDE)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        found['python'] = median(whole_image(features, path, folder), rounds)
    model = openvino.convert_model(features, example_input=x)
    model.reshape([1, 3, SIDE, SIDE])
    for precision, hint in (('float32', 'f32'), ('bfloat16', 'bf16')):
        compiled = openvino.Core().compile_model(model, 'CPU', {'INFERENCE_PRECISION_HINT': hint, 'PERFORMANCE_HINT': 'LATENCY'})
        found['openvino_' + precision] = median(lambda: compiled(x.numpy()), rounds)
    nncf.set_log_level(logging.ERROR)
    quantised = nncf.quantize(model, nncf.Dataset([x.numpy()] * 4), preset=nncf.QuantizationPreset.PERFORMANCE)
    compiled = openvino.Core().compile_model(quantised, 'CPU', {'PERFORMANCE_HINT': 'LATENCY'})
    found['openvino_int8'] = median(lambda: compiled(x.numpy()), rounds)
    written = io.BytesIO()
    torch.onnx.export(features, x, written, input_names=['x'], dynamo=False)
    session = onnxruntime.InferenceSession(written.getvalue(), providers=['CPUExecutionProvider'])
    found['onnxruntime_float32'] = median(lambda: session.run(None, {'x': x.numpy()}), rounds)
    print(json.dumps(found))


main()
