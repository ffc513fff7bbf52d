"""`python -m adapter_stilts`, which is also what `accelerate launch -m adapter_stilts` starts."""

from adapter_stilts.cli.main import main

if __name__ == "__main__":
    main()
