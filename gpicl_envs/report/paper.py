"""Table 1 of the paper (arXiv 2212.04458), read off its figure: published, not run here.

Accuracy in % at example 100 after 99, meta-trained on augmented MNIST; every entry is a multiple of 1/768 or 1/512.
"""

SUITE = "gpicl-table1"
COLUMNS = ("MNIST", "FashionMNIST", "KMNIST", "Random", "CIFAR10", "SVHN")
PUBLISHED = {
    "SGD": (70.31, 50.78, 37.89, 100, 14.84, 10.16),
    "MAML": (53.71, 48.44, 36.33, 99.80, 17.38, 11.33),
    "VSML": (79.04, 68.49, 54.69, 100, 24.09, 17.45),
    "LSTM": (25.39, 28.12, 18.10, 58.72, 12.11, 11.07),
    "GPICL Transformer": (73.70, 62.24, 53.39, 100, 19.40, 14.58),
}
NOTE = "Kirsch et al. 2022, Table 1: published, not run here, on 512 or 768 sequences"
