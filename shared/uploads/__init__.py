"""Users' own models: files that were trained elsewhere, and become versions like those trained here.

`formats` names what may come and how other things are converted, `sniffing` refuses by content what can't be
such a file, `request` is what is said of it. `uploads` keeps what became of each, `desk` takes them in. The
work is the job `convert`'s, in a process of its own: nothing here opens a file that somebody has sent.
"""

from shared.uploads.desk import UploadDesk
from shared.uploads.formats import Format
from shared.uploads.records import Upload, UploadStatus
from shared.uploads.request import Example, UploadRequest

__all__ = ["Example", "Format", "Upload", "UploadDesk", "UploadRequest", "UploadStatus"]
