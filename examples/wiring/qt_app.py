"""Qt: ``python qt_app.py [PyQt6|PySide6|PyQt5]``."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from commands import Commands, abort

binding = sys.argv[1] if len(sys.argv) > 1 else "PySide6"
QtCore: Any = importlib.import_module(f"{binding}.QtCore")
QtWidgets: Any = importlib.import_module(f"{binding}.QtWidgets")
QApplication = QtWidgets.QApplication


class Window(QtWidgets.QMainWindow):  # type: ignore[misc]
    """The app's own."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("myapp")
        self.do = Commands(
            self.ask,
            abort,
            popup=self.show_menu,
            loop=self.wait,
            grab_mouse=self.grabMouse,
            grab_keyboard=self.grabKeyboard,
            critical=lambda: QtCore.qCritical("the disk is full"),
            fatal=lambda: QtCore.qFatal("no way out"),
            destroyed=self.destroy_thread,
            quit=self.close,
        )
        self.timer = QtCore.QTimer(self)
        self.timer.timeout.connect(self.on_timeout)
        self.timer.start(20)
        self.show()

    def on_timeout(self) -> None:
        self.do()

    def ask(self) -> None:
        box = QtWidgets.QMessageBox(self)
        box.setWindowTitle("Save?")
        box.exec()

    def show_menu(self) -> None:
        menu = QtWidgets.QMenu(self)
        menu.setObjectName("recent")
        menu.addAction("a file")
        menu.popup(self.pos())

    def destroy_thread(self) -> None:
        thread = QtCore.QThread()
        thread.start()
        del thread

    def wait(self) -> None:
        QtCore.QEventLoop(self).exec()


# [wiring]
import livegui
from livegui.toolkits import qt as live_qt

agent = livegui.start("myapp")
app = QApplication(sys.argv)
live_qt.install(agent)  # after the application, before its loop
window = Window()
with agent.main_loop():
    app.exec()
    agent.stopping()  # the loop returned because somebody closed the window
# [/wiring]
