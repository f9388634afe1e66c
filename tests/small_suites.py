"""What tests of suites share: learners that misbehave on a suite's cells."""

# Behaves in the check (at most 24 positions), and shows itself on the cells (30 positions).
LEARNERS = """
import os, signal, time
from pathlib import Path
import torch
from gpicl_envs import Learner

class Fair(Learner):
    def predict(self, x, y):
        if y.shape[1] == 30:
            self.misbehave()
        return self.logits(x, y)
    def misbehave(self): pass
    def logits(self, x, y): return torch.zeros(*y.shape, self.n_classes)

class Exits(Fair):
    def misbehave(self): raise SystemExit("enough")
class Unprintable(Exception):
    def __str__(self): raise RuntimeError("no words")
class RaisesUnprintable(Fair):
    def misbehave(self): raise Unprintable
class Drawn(Fair, torch.nn.Module):
    def __init__(self, n_features=784, n_classes=10):
        super().__init__(n_features, n_classes)
        self.w = torch.nn.Parameter(torch.randn(n_classes))
    def logits(self, x, y): return self.w.expand(*y.shape, self.n_classes)
class Acts:
    def act(self, observation): return 1
class Raises(Fair):
    def misbehave(self): raise KeyError("no such weight")
class Sleeps(Fair):
    def misbehave(self): time.sleep(1000)
class Dies(Fair):
    def misbehave(self): os.kill(os.getpid(), signal.SIGKILL)
class DiesOnce(Fair):
    def misbehave(self):
        marker = Path(__file__).with_suffix(".died")
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
class NotANumber(Fair):
    def logits(self, x, y): return torch.full((*y.shape, self.n_classes), torch.nan)
class Huge(Fair):
    def logits(self, x, y): return (3e38 * torch.linspace(-1, 1, self.n_classes)).expand(*y.shape, self.n_classes)
class WrongShape(Fair):
    def logits(self, x, y): return torch.zeros(*y.shape, 3)
class Cheats(Fair):
    def logits(self, x, y): return torch.nn.functional.one_hot(y, self.n_classes).float()
MEMORY = {}
class CheatsFromMemory(Fair):
    def logits(self, x, y):
        labels = torch.nn.functional.one_hot(y, self.n_classes).float()
        return MEMORY.setdefault(x[:, 0].numpy().tobytes(), labels) if y.shape[1] == 30 else 0 * labels
class CheatsLater(Fair):
    def logits(self, x, y):
        labels = torch.nn.functional.one_hot(y, self.n_classes).float()
        return labels if y.shape[1] == 30 else 0 * labels
"""


def cells(records):
    return {(record.spec, record.suite.cell): record for record in records}
