from edgedrag.cli import main

main()
