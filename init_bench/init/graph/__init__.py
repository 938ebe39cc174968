"""The graph of a model, traced by torch.fx: residual branches, order of layers, nonlinearities."""
