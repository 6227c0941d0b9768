"""The codes that the scanner bench shows. They mean nothing; they hold what a wrongly set scanner gets wrong."""

import io
from xml.sax.saxutils import quoteattr

import segno
from reportlab.graphics.barcode import code128

# The letters that sit elsewhere on French and German keyboards, and digits; short enough for bars that a small screen still shows apart.
TEXT = "DKT19AZQWMY"
# What addresses and pairing codes have besides: all digits, both cases, and the signs that move most.
WIDE_TEXT = "DKT0123456789AZQWMYazqwmy:/_#=.-"
_HEIGHT, _QUIET = 40, 10  # in widths of the narrowest bar; the standard wants ten of white on both sides


def qr() -> bytes:
    """WIDE_TEXT as a QR code, in SVG."""
    image = io.BytesIO()
    segno.make(WIDE_TEXT, error="m", micro=False).save(image, kind="svg", scale=4, border=4, light="#fff", svgclass=None, lineclass=None)
    return image.getvalue()


def bars() -> str:
    """TEXT as Code 128, in SVG."""
    code = code128.Code128(TEXT)
    for step in (code.validate, code.encode, code.decompose):
        step()
    at, drawn = _QUIET, ""
    for letter in code.decomposed:  # A to D are bars of one to four widths, a to d the spaces between them
        width = "ABCD".index(letter.upper()) + 1
        if letter.isupper():
            drawn += f"M{at} 0h{width}v{_HEIGHT}h-{width}z"
        at += width
    box = quoteattr(f"0 -4 {at + _QUIET} {_HEIGHT + 8}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox={box} preserveAspectRatio="none">'
        f'<path fill="#fff" d="M0 -4h{at + _QUIET}v{_HEIGHT + 8}H0z"/><path d="{drawn}"/></svg>'
    )
