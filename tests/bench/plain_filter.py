"""The filter of the grid in plain Python, for comparison: lists of integers and the % operator.

Reads {"lists": [[4, 8]], "filters": [{"modulus": 8, "contract": 16}], "usable": [8]} and prints
the combinations, the seconds of processor time that they took, and four sums that the caller
compares with its own: combinations with a kept size that is not usable, and with one that breaks
the contract; wasted sizes; padded tokens.
"""

import bisect
import json
import sys
import time


def main():
    grid = json.load(sys.stdin)
    combinations = violations = wasted = padded = broken_contracts = 0
    start = time.process_time()
    for sizes in grid["lists"]:
        for rule in grid["filters"]:
            modulus, contract = rule["modulus"], rule["contract"]
            for usable in grid["usable"]:
                kept = [size for size in sizes if size % modulus == 0]
                combinations += 1
                if not kept:
                    continue
                violations += any(size % usable != 0 for size in kept)
                broken_contracts += any(size % contract != 0 for size in kept)
                for size in sizes:
                    if size % modulus == 0:
                        continue
                    wasted += size % usable == 0
                    at = bisect.bisect_left(kept, size)
                    padded += kept[at] - size if at < len(kept) else 0
    seconds = time.process_time() - start
    print(combinations, f"{seconds:.6f}", violations, broken_contracts, wasted, padded)


main()
