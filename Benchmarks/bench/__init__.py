# SPDX-License-Identifier: Apache-2.0
"""The runner: servers and loads in turn, the other measurements, marks, tables, plots and the document."""
