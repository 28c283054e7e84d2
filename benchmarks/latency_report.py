def stem(o): return o
def write(r,s):
    import json
    if s: open(s,'w').write(json.dumps(r[0]))
def as_text(r): return "x"
