"""The truth and its error bar: pre-flight, references, orders of accuracy."""

from pinnsuite.verification.check import check as check
from pinnsuite.verification.judge import judge as judge
from pinnsuite.verification.reference import Reference as Reference
from pinnsuite.verification.reference import reference as reference
